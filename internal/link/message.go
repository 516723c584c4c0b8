package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/ir"
)

// message is one line. Lines up to one with a Hash are one transaction, which that line commits: all of them
// take effect at Revision, or none does. A line that only commits what is there already is a heartbeat.
type message struct {
	// Epoch comes with the first line of a stream and names the history that revisions belong to.
	Epoch string `json:"epoch,omitempty"`
	// Reset forgets all resources before the rest of the transaction.
	Reset   bool           `json:"reset,omitempty"`
	Put     []*ir.Resource `json:"put,omitempty"`
	Delete  []string       `json:"delete,omitempty"`
	Secrets []wireSecret   `json:"secrets,omitempty"`
	// Tell asks the agent what it has; it is on a line of its own, which is no part of a transaction.
	Tell bool `json:"tell,omitempty"`
	// Trust is on a line of its own, which is no part of a transaction.
	Trust *wireTrust `json:"trust,omitempty"`
	// Tickets is the agent's brief on TLS ticket keys; it is on a line of its own, which is no part of a transaction
	// and is kept nowhere.
	Tickets json.RawMessage `json:"tickets,omitempty"`
	// Errand names something that the agent is asked; it is on a line of its own, which is no part of a transaction.
	Errand string `json:"errand,omitempty"`
	// Revision and Hash describe all resources of the load balancer after the transaction.
	Revision int64 `json:"rev,omitempty"`
	Hash     *Hash `json:"hash,omitempty"`

	// read are those of Put that were read already, by ID.
	read map[string]*ir.Resource
}

// wireSecret is key material on its way to an agent, in the one form that has the plaintext in it.
type wireSecret struct {
	// ID is "certificate/<name>".
	ID          string `json:"id"`
	Generation  int64  `json:"generation"`
	Fingerprint string `json:"fingerprint"`
	Data        []byte `json:"data"`
}

// String keeps the plaintext out of whatever prints a message.
func (s wireSecret) String() string { return s.ID + " [redacted]" }

// GoString keeps the plaintext out of whatever prints a message.
func (s wireSecret) GoString() string { return s.String() }

// decodeMessage reads a line. Fields that it does not know are passed over: a newer control plane sends none that must be
// understood, unless the agent has said that it does. Its errors repeat no part of the line, which may hold a key.
func decodeMessage(line []byte) (message, error) {
	if bytes.IndexByte(line, '\n') >= 0 {
		return message{}, errors.New("read message: it is more than one line")
	}
	m, ok := cutPut(line)
	if !ok {
		var err error
		if m, err = decodeSlowly(line); err != nil {
			return message{}, fmt.Errorf("read message of %d bytes: %w", len(line), err)
		}
	}
	if err := m.check(); err != nil {
		return message{}, fmt.Errorf("read message of %d bytes: %w", len(line), err)
	}
	return m, nil
}

func decodeSlowly(line []byte) (m message, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&m); err != nil {
		return message{}, errors.New(jsonFault(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return message{}, errors.New("there is more than one value on the line")
	}
	return m, nil
}

// jsonFault tells what is wrong with JSON without quoting any of it.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "it is not JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	case errors.As(err, &typ):
		return "the value at byte " + strconv.FormatInt(typ.Offset, 10) + " is of the wrong type"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it ends too early"
	}
	return "it holds a field or value that this version does not know; upgrade the agent"
}

// changesNothing tells that a line is no part of a transaction, or of none that this version knows.
func (m *message) changesNothing() bool {
	return !m.Reset && len(m.Put) == 0 && len(m.Delete) == 0 && len(m.Secrets) == 0
}

func (m *message) check() error {
	if m.Epoch != "" {
		if err := checkEpoch(m.Epoch); err != nil {
			return err
		}
	}
	if m.Revision < 0 || (m.Revision != 0 && m.Hash == nil) {
		return errors.New("a revision comes with the hash of what it commits")
	}
	if err := m.Trust.check(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(m.Put)+len(m.Delete))
	for _, r := range m.Put {
		if len(r.Body) == 0 || len(r.Body) > MaxResource {
			return errors.New("a resource has no body, or one that is too long")
		}
		if err := once(seen, r.ID); err != nil {
			return err
		}
	}
	for _, id := range m.Delete {
		if err := once(seen, id); err != nil {
			return err
		}
	}
	for _, s := range m.Secrets {
		if _, err := s.name(); err != nil {
			return err
		}
	}
	return nil
}

func once(seen map[string]bool, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if seen[id] {
		return errors.New("a resource is named twice on the line")
	}
	seen[id] = true
	return nil
}

// checkID holds IDs to what names are made of; ir.Assemble says which kinds there are.
func checkID(id string) error {
	if id == "" || len(id) > 4*weir.MaxName {
		return fmt.Errorf("the ID of a resource must be 1 to %d bytes long", 4*weir.MaxName)
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return errors.New("the ID of a resource holds a byte that no ID has")
		}
	}
	return nil
}

// name gives the certificate's name, which becomes part of a file's.
func (s wireSecret) name() (string, error) {
	name, ok := strings.CutPrefix(s.ID, "certificate/")
	if !ok || weir.CheckName(name) != nil || s.Generation < 0 || len(s.Data) > weir.MaxSecret || len(s.Fingerprint) > 256 {
		return "", errors.New("a secret is none of a certificate, or too long")
	}
	return name, nil
}

// appendPut writes lines that put resources, each line at most chunk long unless one resource is longer.
func appendPut(b []byte, list []*ir.Resource) []byte {
	start := -1 // of the line that is begun
	for i := range list {
		if start >= 0 && (len(b)-start > chunk || bodySize(list[i]) > chunk) {
			b, start = append(b, "]}\n"...), -1
		}
		if start < 0 {
			start = len(b)
			b = append(b, `{"put":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, list[i].ID...) // checkID: nothing to quote
		b = append(b, `","body":`...)
		b = append(list[i].AppendJSON(b), '}')
	}
	if start >= 0 {
		b = append(b, "]}\n"...)
	}
	return b
}

func appendDelete(b []byte, ids []string) []byte {
	for part := range slices.Chunk(ids, 256) {
		b = append(b, `{"delete":["`...)
		b = append(b, strings.Join(part, `","`)...)
		b = append(b, "\"]}\n"...)
	}
	return b
}

func appendCommit(b []byte, revision int64, hash Hash) []byte {
	b = append(b, `{"rev":`...)
	b = strconv.AppendInt(b, revision, 10)
	b = append(b, `,"hash":"`...)
	b = append(b, hash.String()...)
	return append(b, "\"}\n"...)
}

func appendStart(b []byte, epoch string, reset bool) []byte {
	b = append(b, `{"epoch":"`...)
	b = append(b, epoch...)
	b = append(b, '"')
	if reset {
		b = append(b, `,"reset":true`...)
	}
	return append(b, "}\n"...)
}

// secretLine gathers keys for one line; it is the only place where key material is written out.
type secretLine struct {
	list []wireSecret
	size int
}

func (l *secretLine) add(k keyRead) {
	l.list = append(l.list, wireSecret{"certificate/" + k.certificate, k.ref.Generation, k.ref.Fingerprint, k.data.Bytes()})
	l.size += k.data.Len()
}

// end gives the line, nothing for no keys, and begins another.
func (l *secretLine) end() ([]byte, error) {
	if len(l.list) == 0 {
		return nil, nil
	}
	line, err := json.Marshal(map[string][]wireSecret{"secrets": l.list})
	if err != nil {
		return nil, errors.New("write secrets: they can't be encoded")
	}
	*l = secretLine{}
	return append(line, '\n'), nil
}
