"""Networks that other toolkits wrote: read, checked, rewritten and lowered to the contract."""
