"""The numbers of docs/scale.md, measured: `make bench`."""
