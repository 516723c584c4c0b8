package server

// leadSessions is the work of ending sessions that have lost what they rest on, which one server does.
const leadSessions = "sessions"
