"""What others use for the same work. Each file runs in an environment of its own, with what it names on top.

The argument is a JSON object: shape, base_url, database_url, addresses (a file, one per line) and folder
(to keep state between runs). No file here imports the project: a peer's environment does not have it.
"""
