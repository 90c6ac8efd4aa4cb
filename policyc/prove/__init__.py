"""The plan as logic: what holds for every request there is, and where two policies differ.

Everything here but `structure` needs z3 (`pip install 'policyc[prove]'`).
"""
