"""How good statistical tables are on crystals that their derivation never saw."""
