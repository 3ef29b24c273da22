"""The commands typed in a chat: one table for help, completion and dispatch; a file for each group of them."""
