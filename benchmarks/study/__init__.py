"""What the studies share: carrying out what is planned, records, tables and sentences."""
