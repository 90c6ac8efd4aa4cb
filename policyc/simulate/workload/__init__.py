"""What runs on the simulated machine: the machine, its cgroups, processes and accesses."""
