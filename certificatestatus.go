package weir

import "time"

// CertificateStatus is what is so of a Certificate besides its conditions.
type CertificateStatus struct {
	// DaysLeft are the whole days until it ends, below 0 once it has; left out while there is none.
	DaysLeft *int `json:"daysLeft,omitempty"`
	// Renewal is how it stands with the next one; left out of a certificate without an issuer.
	Renewal *Renewal `json:"renewal,omitempty"`
	// Groups are where it is needed, and on how many load balancers it is served there.
	Groups []ServedGroup `json:"groups,omitempty"`
	// UsedBy are the objects that name it, such as Site/www, by kind and name; of many the first of them.
	UsedBy []string `json:"usedBy,omitempty"`
	// Uses is how many they are.
	Uses int `json:"uses,omitempty"`
}

// Renewal is how it stands with the next certificate of an issuer.
type Renewal struct {
	// State is one of the Renewal constants.
	State string `json:"state"`
	// At is when the next is ordered, tried again, or allowed by the limits; left out where there is no such moment.
	At time.Time `json:"at,omitzero"`
	// Due is since when another is wanted, or from when on.
	Due time.Time `json:"due,omitzero"`
	// Why another is wanted; what is waited for, when State is Waiting; what is under way, when it is Ordering.
	Why string `json:"why,omitempty"`
	// Failures are those on end, Error is the last of them.
	Failures int    `json:"failures,omitempty"`
	Error    string `json:"error,omitempty"`
	// IssuedAt is when the issuer gave one last, as far as that is known.
	IssuedAt time.Time `json:"issuedAt,omitzero"`
}

// The states of a renewal.
const (
	RenewalScheduled = "Scheduled" // the present one is good, the next is ordered at At
	RenewalDue       = "Due"       // the next is ordered as soon as a server comes to it
	RenewalOrdering  = "Ordering"  // an order is under way
	RenewalWaiting   = "Waiting"   // a limit is reached, or the issuer's account is held back, until At
	RenewalFailing   = "Failing"   // the last order came to nothing, and it is tried again at At
	RenewalStuck     = "Stuck"     // there is no issuer to order from
	RenewalNone      = "None"      // nobody wants another: it was revoked for good
)

// RenewalStates are all of them.
var RenewalStates = []string{RenewalScheduled, RenewalDue, RenewalOrdering, RenewalWaiting, RenewalFailing, RenewalStuck, RenewalNone}

// ServedGroup is a group whose load balancers are to serve a certificate: Ready of Of active ones were read back to
// have it, and their agents were shown it wherever they could ask.
type ServedGroup struct {
	Name  string `json:"name"`
	Ready int    `json:"ready"`
	Of    int    `json:"of"`
	// Missing are the load balancers that are not counted in Ready, by name; of many the first of them.
	Missing []string `json:"missing,omitempty"`
}

// IssuerStatus is what is so of an Issuer besides its conditions.
type IssuerStatus struct {
	// Certificates counts those that come from it, by the state of their Renewal.
	Certificates map[string]int `json:"certificates,omitempty"`
	// Budgets are the limits on what is ordered.
	Budgets []IssuerBudget `json:"budgets,omitempty"`
	// Next is when the next certificate is ordered from it, NextName for which Certificate.
	Next     time.Time `json:"next,omitzero"`
	NextName string    `json:"nextName,omitempty"`
	// IssuedAt is when it gave one last.
	IssuedAt time.Time `json:"issuedAt,omitzero"`
	// Error is why the order that failed last did, FailedName for which Certificate.
	Error      string    `json:"error,omitempty"`
	FailedName string    `json:"failedName,omitempty"`
	FailedAt   time.Time `json:"failedAt,omitzero"`
}

// IssuerBudget is a limit on what is ordered of an Issuer, and how much of it is used.
type IssuerBudget struct {
	// Limit says what is counted, such as "orders in 3h" or "orders in 7 days by domain".
	Limit string `json:"limit"`
	Of    int    `json:"of"`
	// Used is how much is used now; of a limit that counts by something, such as a domain, where most is, which is By.
	Used int    `json:"used"`
	By   string `json:"by,omitempty"`
	// Free is when the next order is possible, where none is now.
	Free time.Time `json:"free,omitzero"`
}
