"""The sources of photographs: every kind of source is opened as a listing of files."""
