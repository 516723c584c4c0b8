package tickets

import (
	"encoding/json"
	"fmt"
)

// Answer is what a member has made of a Brief.
type Answer struct {
	Offers []Offer `json:"offers,omitempty"`
	// Unopened are the epochs whose envelope the member can't open.
	Unopened []int64 `json:"unopened,omitempty"`
}

// Empty says that there is nothing to be said.
func (a Answer) Empty() bool { return len(a.Offers)+len(a.Unopened) == 0 }

// Encode gives the answer as text. It holds no secret: envelopes are sealed.
func (a Answer) Encode() ([]byte, error) { return json.Marshal(a) }

// ParseAnswer reads what Encode wrote.
func ParseAnswer(text []byte) (Answer, error) {
	var a Answer
	if err := parse(text, &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer to a brief on ticket keys: %w", err)
	}
	return a, nil
}
