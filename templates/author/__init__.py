"""The templates as code: what they are made of, and how they are given to NiFi and exported from it."""
