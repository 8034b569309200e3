"""Neural networks of 2017 to 2020 (``.mlmodel``): their layers become MIL operators, which everything else here runs and reads."""
