"""The types of kernels (BTF): reading them, and comparing them with the profiles."""

from policyc.hooks.btf.errors import BtfError
from policyc.hooks.btf.reader import Btf, read_btf, running

__all__ = ["Btf", "BtfError", "read_btf", "running"]
