"""What the scripts here give up with."""


class CannotMake(Exception):
    """The text says what a person can do about it."""
