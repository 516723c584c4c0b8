// Package weir holds the nouns of load balancing as people declare them, and the rules each of them obeys.
// It decides nothing about HAProxy and does nothing: it is read first.
package weir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Object is one declared thing: what a person or a machine wants to be so.
type Object struct {
	Kind     string   `json:"kind"`
	Metadata Metadata `json:"metadata"`
	// Spec is a pointer to the kind's own type, *Pool for kind Pool.
	Spec Spec `json:"spec"`
	// Status is written by the control plane only and is nil in what people send.
	Status *Status `json:"status,omitempty"`
	// Revision is that of the change that wrote the object last.
	Revision int64 `json:"revision,omitempty"`
}

// Metadata names an object and says whose it is.
type Metadata struct {
	Name string `json:"name"`
	// Role is the service that owns the object; empty means the platform's.
	Role   string            `json:"role,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// ManagedBy names what writes the object when that is not a person.
	ManagedBy string `json:"managedBy,omitempty"`
	// ShareWith lists the roles that may refer to the object besides its own.
	ShareWith []string `json:"shareWith,omitempty"`
}

// ManagedByInventory as metadata.managedBy of a Server says that an inventory's lists write and delete it.
const ManagedByInventory = "inventory"

// Spec is the wish inside an object. Normalize fills defaults and canonical forms; Validate reports every rule
// that the wish breaks by itself, with paths below "spec"; References names the objects it needs.
type Spec interface {
	Normalize()
	Validate(p *Problems)
	References() []Reference
}

// Ref names one object.
type Ref struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String gives the form "Pool/web-az1".
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// Reference is a Ref with the field that holds it.
type Reference struct {
	Ref
	Path string
}

// Ref names the object.
func (o *Object) Ref() Ref { return Ref{Kind: o.Kind, Name: o.Metadata.Name} }

// References gives everything that the object names: what its spec refers to, its role, and the roles that it is
// shared with.
func (o *Object) References() []Reference {
	list := o.Spec.References()
	if o.Metadata.Role != "" {
		list = append(list, Reference{Ref{"Role", o.Metadata.Role}, "metadata.role"})
	}
	for i, role := range o.Metadata.ShareWith {
		list = append(list, Reference{Ref{"Role", role}, index("metadata.shareWith", i)})
	}
	return list
}

// MayReferTo says whether the rights allow o to name target: a target without a role is everybody's, an object
// without a role is the admin's and may name everything, and else the roles must be equal or the target shared.
func (o *Object) MayReferTo(target *Object) bool {
	own, other := o.Metadata.Role, target.Metadata.Role
	return own == "" || other == "" || own == other || slices.Contains(target.Metadata.ShareWith, own)
}

// Clone gives a deep copy, so that the holder of one can't change the other.
func (o *Object) Clone() *Object {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("clone %s: %v", o.Ref(), err))
	}
	copied, err := DecodeStored(raw)
	if err != nil {
		panic(fmt.Sprintf("clone %s: %v", o.Ref(), err))
	}
	return copied
}

// UnmarshalJSON reads what Weir itself has written, as the API's answers; it applies no rules.
func (o *Object) UnmarshalJSON(raw []byte) error {
	read, err := DecodeStored(raw)
	if err == nil {
		*o = *read
	}
	return err
}

// DecodeStored reads an object that Weir itself has written; it trusts it and applies no rules.
func DecodeStored(raw []byte) (*Object, error) {
	kind, ok := storedKind(raw)
	if !ok {
		return nil, fmt.Errorf("read stored object: kind %q is not known to this version", kind.Name)
	}
	o := empty(kind)
	head := struct {
		Kind     string   `json:"kind"`
		Metadata Metadata `json:"metadata"`
		Spec     any      `json:"spec"`
		Status   *Status  `json:"status"`
		Revision int64    `json:"revision"`
	}{Spec: o.Spec}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("read stored object %s/%s: %w", kind.Name, head.Metadata.Name, err)
	}
	o.Metadata, o.Status, o.Revision = head.Metadata, head.Status, head.Revision
	return o, nil
}

// empty gives an object of a kind that says nothing yet. A server and its spec are one piece of memory: of a hundred
// thousand of them, the pieces are what the collector of the control plane looks at.
func empty(kind Kind) *Object {
	if kind.Name == "Server" {
		both := &struct {
			object Object
			spec   Server
		}{}
		both.object.Kind, both.object.Spec = kind.Name, &both.spec
		return &both.object
	}
	return &Object{Kind: kind.Name, Spec: kind.New()}
}

// storedKind finds the kind of an object, which Weir writes first; others may not.
func storedKind(raw []byte) (Kind, bool) {
	var name string
	if rest, first := bytes.CutPrefix(raw, []byte(`{"kind":"`)); first {
		word, _, _ := bytes.Cut(rest, []byte{'"'})
		name = string(word)
	} else {
		var head struct {
			Kind string `json:"kind"`
		}
		_ = json.Unmarshal(raw, &head) // whoever reads the rest tells what is wrong
		name = head.Kind
	}
	kind, ok := KindByName(name)
	if !ok {
		kind.Name = name
	}
	return kind, ok
}

// Status is what is so, as the control plane knows it from the agents.
type Status struct {
	Conditions []Condition `json:"conditions"`
	// Certificate is of a Certificate alone, Issuer of an Issuer.
	Certificate *CertificateStatus `json:"certificate,omitempty"`
	Issuer      *IssuerStatus      `json:"issuer,omitempty"`
	// Source is of a DiscoverySource alone.
	Source *SourceStatus `json:"source,omitempty"`
}

// The types of conditions an object can have.
const (
	Accepted    = "Accepted"    // it obeys the rules and is compiled
	Programmed  = "Programmed"  // read back from n of m load balancers
	Serving     = "Serving"     // the health checks see something that answers
	Issued      = "Issued"      // its issuer has given it, and will again in time
	Watched     = "Watched"     // of a discovery source, or the source of a list or a Map: it answers, and what it has is written
	Resolved    = "Resolved"    // of a partner: the names of its services have addresses
	Believed    = "Believed"    // of a discovery source: false while it says that more is gone than is believed
	Admitted    = "Admitted"    // of servers and pools: registrations let in who is to take traffic
	Certified   = "Certified"   // of a site with TLS: each of its host names has a certificate
	Divided     = "Divided"     // of a split, only when it is not: load balancers have taken a leg out
	Answering   = "Answering"   // of a partner: no good part of the calls to it fail; unknown while there are none
	Quarantined = "Quarantined" // a load balancer refused it; its last good form stays
	Drifted     = "Drifted"     // somebody changed it by hand at a load balancer
)

// Condition is one statement about an object, true, false or not known.
type Condition struct {
	Type string `json:"type"`
	// Status is "True", "False" or "Unknown".
	Status string `json:"status"`
	// Reason is one word for machines.
	Reason string `json:"reason"`
	// Message is a sentence for people; it names object, field and load balancer.
	Message string    `json:"message"`
	Since   time.Time `json:"since,omitzero"`
	// Ready and Of are the n and m of Programmed.
	Ready int `json:"ready,omitempty"`
	Of    int `json:"of,omitempty"`
	// Groups are those whose load balancers Of counts.
	Groups []string `json:"groups,omitempty"`
}
