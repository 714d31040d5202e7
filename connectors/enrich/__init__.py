"""Topics for prompts, findings for review, gaps from chats: pure where it can be."""
