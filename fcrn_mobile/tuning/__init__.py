"""The search for a precision per operator: the smallest package that holds a drift budget."""
