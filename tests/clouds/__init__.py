"""Stand-ins for the clouds: each an HTTP front (`front.py`) over what others wrote, that counts calls and can go wrong on purpose."""
