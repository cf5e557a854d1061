"""Importers of layers: convolutions, matrix products, pools, resizes, recurrent cells."""
