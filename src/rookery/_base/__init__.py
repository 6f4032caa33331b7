"""Clock, units, names: what every package may stand on."""
