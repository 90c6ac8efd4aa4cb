"""The live system: loading objects through libbpf, their maps and links, cgroups."""
