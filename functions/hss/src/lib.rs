//! Home Subscriber Server.
