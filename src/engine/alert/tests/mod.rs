//! Rules and their state machine in virtual time.
