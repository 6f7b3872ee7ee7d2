"""Damaged and hostile files through `hardspike import` and `hardspike check`.

Every file ends in one line and exit status 2, or in a legal network, within bounded memory and
time, and leaves nothing behind where it is refused.
"""
