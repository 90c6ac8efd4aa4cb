"""What a policy answers, as the model of the kernel asks it."""

from __future__ import annotations


class Hook:
    """No policy is attached: every request is left alone."""
