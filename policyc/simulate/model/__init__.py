"""The kernel's memory management, one mechanism a module, each with its source named."""
