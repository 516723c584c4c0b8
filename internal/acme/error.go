package acme

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

// Step says what was being done when something failed.
type Step string

// The steps, in the order in which they are taken.
const (
	StepDirectory     Step = "read the directory"
	StepAccount       Step = "find the account"
	StepOrder         Step = "order"
	StepAuthorization Step = "read the authorizations"
	StepChallenge     Step = "answer the challenges"
	StepValidation    Step = "validate"
	StepFinalize      Step = "finalize the order"
	StepCertificate   Step = "get the certificate"
	StepTidy          Step = "give up what is pending"
	StepRenewalInfo   Step = "get renewal information"
	StepRevoke        Step = "revoke"
)

// Types of errors that are not the CA's own. What the CA says has the type of its problem document without the prefix
// urn:ietf:params:acme:error:, as rateLimited.
const (
	TypeUnreachable  = "unreachable"  // no connection, or it broke
	TypeTimeout      = "timeout"      // no answer in time
	TypeBadAnswer    = "badAnswer"    // an answer that is none of ACME
	TypeNotFound     = "notFound"     // the CA knows no such thing
	TypeBadInput     = "badInput"     // what the caller gave will not do
	TypeBadChain     = "badChain"     // the chain is not that of the key and the names
	TypeUnsupported  = "unsupported"  // the CA cannot do what is asked for
	TypeDeactivated  = "deactivated"  // the account is not valid any more
	TypeOtherAccount = "otherAccount" // the order is of another account, or of another CA
	TypeAbandoned    = "abandoned"    // the caller gave the order up
	TypeCanceled     = "canceled"     // the caller's context ended
)

// NameError is what the CA says of one name.
type NameError struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Detail string `json:"detail,omitempty"`
}

// Error is what failed, as data. It holds no key and no token, and its texts are short and of one line.
type Error struct {
	Step Step `json:"step"`
	// Type is the CA's, or one of the Type constants.
	Type string `json:"type"`
	// Status is that of the CA's answer, 0 when there was none.
	Status int    `json:"status,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Names are those that it is about, sorted; empty when it is about none in particular.
	Names []NameError `json:"names,omitempty"`
	// Retry says that the same again may go well though nobody changes anything, NotBefore when at the soonest; zero
	// leaves that to the caller.
	Retry     bool      `json:"retry,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`

	over bool // an order that it happens to is at its end
}

// Error gives it in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Step))
	for i, n := range e.Names {
		switch {
		case i == 0:
			b.WriteString(" " + n.Name)
		case i < 3:
			b.WriteString(", " + n.Name)
		default:
			fmt.Fprintf(&b, " and %d more", len(e.Names)-i)
		}
		if i == 3 {
			break
		}
	}
	b.WriteString(": " + e.Type)
	if d := cmp.Or(e.Detail, e.detailOfNames()); d != "" {
		b.WriteString(": " + d)
	}
	if !e.NotBefore.IsZero() {
		b.WriteString("; not before " + e.NotBefore.UTC().Format(time.RFC3339))
	}
	return b.String()
}

func (e *Error) detailOfNames() string {
	if len(e.Names) == 0 {
		return ""
	}
	return e.Names[0].Detail
}

func local(step Step, kind, detail string, names ...string) *Error {
	e := &Error{Step: step, Type: kind, Detail: detail, over: true}
	for _, n := range names {
		e.Names = append(e.Names, NameError{Name: n, Type: kind})
	}
	return e
}

// problem makes an Error of a CA's problem document; secrets are cut out of what it says.
func problem(step Step, p *acmez.Problem, status int, secrets []string) *Error {
	e := &Error{Step: step, Type: shortType(p.Type), Status: cmp.Or(status, p.Status), Detail: clean(p.Detail, secrets...)}
	e.Retry = passes(e.Type, e.Status)
	e.over = !waits(e.Type, e.Status)
	for _, s := range p.Subproblems {
		if s.Identifier.Value == "" {
			continue
		}
		n := NameError{Name: clean(s.Identifier.Value), Type: shortType(s.Type), Detail: clean(s.Detail, secrets...)}
		e.Names = append(e.Names, n)
	}
	sortNames(e.Names)
	return e
}

func sortNames(names []NameError) {
	slices.SortFunc(names, func(a, b NameError) int { return cmp.Compare(a.Name, b.Name) })
}

func shortType(urn string) string {
	short := clean(strings.TrimPrefix(urn, acmez.ProblemTypeNamespace))
	return cmp.Or(short, "about:blank")
}

// waits says that an order can go on once this is over.
func waits(kind string, status int) bool {
	return status >= 500 || status == 429 || slices.Contains([]string{"rateLimited", "badNonce", "serverInternal"}, kind)
}

// lasting are problems that stay until somebody changes something.
var lasting = []string{
	"accountDoesNotExist", "badCSR", "badPublicKey", "badRevocationReason", "badSignatureAlgorithm",
	"externalAccountRequired", "invalidContact", "invalidProfile", "malformed", "rejectedIdentifier",
	"unsupportedContact", "unsupportedIdentifier", "userActionRequired",
}

// passes says that a problem may be gone by itself: the world changes in which a name is looked at, and a CA is mended.
func passes(kind string, status int) bool { return !slices.Contains(lasting, kind) || status >= 500 }
