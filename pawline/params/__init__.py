"""`params.yaml` as frozen records, a module per section."""
