"""Other projects' clients, programs and servers with a running relay."""
