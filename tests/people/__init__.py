"""What claims are told with: people, their clients, strangers, and the messages between them."""
