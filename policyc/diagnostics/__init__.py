"""What the compiler has to say about a policy: one model, its codes, and its renderers."""
