"""Accesses as streams: which pages a running phase touches, and when it comes to a page again.

A stream is the running form of a phase. Touches are not replayed one by one where there are
more of them than pages: what is asked instead is when a page is next touched, which has the
same distribution.
"""

from __future__ import annotations
