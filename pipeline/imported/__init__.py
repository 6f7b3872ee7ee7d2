"""Networks from elsewhere: `hardspike import`, `hardspike check`, and the stages of their runs."""
