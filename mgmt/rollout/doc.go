// Package rollout brings a revision to the gateways of a group stage by stage, and back.
//
// A rollout begins in the transaction that publishes its revision. Each stage shows the revision's head to some gateways more; a judge
// holds those against the others, over the same minutes. What is worse is halted, and the content before it published again as a
// new revision, which all gateways get at once: a gateway never goes back by number.
//
// Invariant: the state of a rollout is in the database, so that any manager goes on with it; whoever judges holds a lease, which
// is checked in every transaction that writes.
package rollout
