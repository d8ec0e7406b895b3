// Package auth holds who may use the manager: users, their sessions, API tokens, sign-in through an identity provider, and roles.
//
// Invariant: what proves who somebody is (passwords, tokens, links, cookies) is in the database only as a hash that it cannot be read
// from, and is told once.
package auth

// CookieName is the name of the cookie of a session. The prefix has browsers take it from no other host, and over TLS only.
const CookieName = "__Host-gatehouse"
