"""The data set drawn by code: cats and dogs, with the faults that real data sets have."""
