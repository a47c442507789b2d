"""Other people's clients, programs and servers with a running relay."""
