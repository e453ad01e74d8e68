//! HAProxy's command socket: its words, its answers to the letter, for the tools that speak them.
