"""Where a person types: the line with its keys, completion, suggestions and toolbar."""
