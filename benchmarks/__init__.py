"""The numbers of DESIGN.md, measured: `make bench`."""
