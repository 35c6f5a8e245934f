"""Reading crystals and labels: what is right, wrong and refused."""
