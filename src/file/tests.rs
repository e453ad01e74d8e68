//! What is read, what is told of mistakes, and that what is printed is read back.
