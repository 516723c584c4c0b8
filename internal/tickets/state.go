package tickets

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// State is what the control plane keeps of a group. It holds seeds, so it is sealed, and belongs into no backup: with
// none, Step begins anew.
type State struct {
	Group string
	// Epochs are those of the group's secret that seeds need, and the newest, which is the last.
	Epochs []Epoch
	// Seeds are none before the group has a secret, then the previous, current and next generation's. A seed that
	// Step leaves out is destroyed by writing the new state in place of the old.
	Seeds []Seed
	// Rotated is when the current generation became the current one.
	Rotated time.Time
	// Hurry is how many rotations are not to wait for their time.
	Hurry int
}

// Epoch is one secret of a group, as far as the control plane knows it.
type Epoch struct {
	Number int64  `json:"number"`
	Check  string `json:"check"`
	// Senders are the certificates of those who made the envelopes.
	Senders   [][]byte   `json:"senders"`
	Envelopes []Envelope `json:"envelopes"`
}

// Generation is the current one; 0 before the first.
func (s State) Generation() int64 {
	if len(s.Seeds) == 0 {
		return 0
	}
	return s.Seeds[1].Generation
}

// Hurried asks for three rotations as fast as the members follow, once they have a secret that nobody who was removed
// knows: after them no key of before opens anything, and every client has made one full handshake.
func (s State) Hurried() State {
	s.Hurry = generations
	return s
}

// Unopened notes that a member could not open its envelope, so that another member wraps the secret anew.
func (s State) Unopened(name string, epoch int64) State {
	s.Epochs = slices.Clone(s.Epochs)
	for i, e := range s.Epochs {
		if e.Number != epoch {
			continue
		}
		s.Epochs[i].Envelopes = slices.Clone(e.Envelopes)
		for j := range e.Envelopes {
			if e.Envelopes[j].To == name {
				// The envelope stays: that its recipient may have known the secret is not forgotten.
				s.Epochs[i].Envelopes[j].Sealed = nil
			}
		}
	}
	return s
}

// newest gives the newest epoch, nil when there is none.
func (s State) newest() *Epoch {
	if len(s.Epochs) == 0 {
		return nil
	}
	return &s.Epochs[len(s.Epochs)-1]
}

type wireState struct {
	Group   string     `json:"group"`
	Epochs  []Epoch    `json:"epochs"`
	Seeds   []wireSeed `json:"seeds"`
	Rotated time.Time  `json:"rotated"`
	Hurry   int        `json:"hurry,omitempty"`
}

// Encode reveals the state as text, to be sealed. Equal states give equal texts.
func (s State) Encode() ([]byte, error) {
	return json.Marshal(wireState{s.Group, s.Epochs, revealSeeds(s.Seeds), s.Rotated, s.Hurry})
}

// ParseState reads what Encode wrote.
func ParseState(text []byte) (State, error) {
	var w wireState
	if err := parse(text, &w); err != nil {
		return State{}, fmt.Errorf("read the ticket keys' state: %w", err)
	}
	seeds, err := readSeeds(w.Seeds)
	if err != nil {
		return State{}, fmt.Errorf("read the ticket keys' state of group %s: %w", w.Group, err)
	}
	return State{w.Group, w.Epochs, seeds, w.Rotated, w.Hurry}, nil
}

// Given is an envelope with what is needed to open it.
type Given struct {
	Epoch    int64    `json:"epoch"`
	Check    string   `json:"check"`
	Envelope Envelope `json:"envelope"`
	// Sender is the certificate of who made the envelope.
	Sender []byte `json:"sender"`
}

// Brief is what one member is told.
type Brief struct {
	Group string
	Seeds []Seed
	Given []Given
	// Tasks are those that are this member's.
	Tasks []Task
}

// Brief gives what a member is told; tasks are those of Step.
func (s State) Brief(m Member, tasks []Task) Brief {
	b := Brief{Group: s.Group, Seeds: s.Seeds}
	for _, e := range s.Epochs {
		if i := slices.IndexFunc(e.Envelopes, func(v Envelope) bool { return v.opens(m.Name, m.keyID()) }); i >= 0 {
			b.Given = append(b.Given, Given{e.Number, e.Check, e.Envelopes[i], e.sender(e.Envelopes[i].FromKey)})
		}
	}
	for _, t := range tasks {
		if t.By == m.Name {
			b.Tasks = append(b.Tasks, t)
		}
	}
	return b
}

type wireBrief struct {
	Group string     `json:"group"`
	Seeds []wireSeed `json:"seeds"`
	Given []Given    `json:"given"`
	Tasks []Task     `json:"tasks,omitempty"`
}

// Encode reveals the brief as text for its member and nobody else. It holds seeds: it is kept on no disk.
func (b Brief) Encode() ([]byte, error) {
	return json.Marshal(wireBrief{b.Group, revealSeeds(b.Seeds), b.Given, b.Tasks})
}

// ParseBrief reads what Encode wrote.
func ParseBrief(text []byte) (Brief, error) {
	var w wireBrief
	if err := parse(text, &w); err != nil {
		return Brief{}, fmt.Errorf("read the brief on ticket keys: %w", err)
	}
	seeds, err := readSeeds(w.Seeds)
	if err != nil {
		return Brief{}, fmt.Errorf("read the brief on ticket keys of group %s: %w", w.Group, err)
	}
	return Brief{w.Group, seeds, w.Given, w.Tasks}, nil
}

// opens says whether the envelope is for a member; one whose key is not known is told by its name.
func (e Envelope) opens(name, keyID string) bool {
	return len(e.Sealed) > 0 && e.isFor(name, keyID)
}

func (e Envelope) isFor(name, keyID string) bool {
	return e.To == name && (keyID == "" || e.ToKey == keyID)
}

func compareEnvelopes(a, b Envelope) int {
	return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.ToKey, b.ToKey))
}
