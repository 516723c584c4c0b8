package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"weir/internal/discovery"
)

// maxEvent is how long one event can be. Kubernetes stores no object above 1.5 MiB.
const maxEvent = 16 << 20

// event is one of a watch.
type event struct {
	kind    string // ADDED, MODIFIED, DELETED or BOOKMARK
	slice   *slice // nil of a bookmark
	version string
	err     error // in place of all else, the last one
}

// errEnded says that a stream is over without having said anything wrong.
var errEnded = errors.New("the stream ended")

// read passes on the events of a stream and, as the last one, why it is over. It closes out, and returns when ctx ends.
func (s *Source) read(ctx context.Context, body io.Reader, out chan<- event) {
	defer close(out)
	b := &bounded{r: body}
	d := json.NewDecoder(b)
	for {
		b.left = maxEvent
		e := s.next(d)
		select {
		case out <- e:
		case <-ctx.Done():
			return
		}
		if e.err != nil {
			return
		}
	}
}

// next reads an event.
func (s *Source) next(d *json.Decoder) event {
	var w struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := d.Decode(&w); err != nil {
		return event{err: s.broken(err)}
	}
	e := event{kind: w.Type}
	var err error
	switch w.Type {
	case "ADDED", "MODIFIED", "DELETED":
		e.slice, err = s.object(w.Object)
		if err == nil {
			e.version = e.slice.version
		}
	case "BOOKMARK":
		e.version, err = bookmark(w.Object)
	case "ERROR":
		return event{err: s.told(w.Object)}
	default:
		err = fmt.Errorf("an event of type %s", quote(w.Type))
	}
	if err != nil {
		return event{err: s.nonsense(err)}
	}
	return e
}

func (s *Source) object(b []byte) (*slice, error) {
	var o endpointSlice
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.Kind != "EndpointSlice" || o.APIVersion != apiVersion {
		return nil, fmt.Errorf("an object of kind %s of %s", quote(o.Kind), quote(o.APIVersion))
	}
	return s.parse(&o)
}

func bookmark(b []byte) (version string, err error) {
	var o endpointSlice
	if err := json.Unmarshal(b, &o); err != nil {
		return "", err
	}
	if o.Metadata.ResourceVersion == "" {
		return "", errors.New("a bookmark without a version")
	}
	return o.Metadata.ResourceVersion, nil
}

// told makes an error of an ERROR event.
func (s *Source) told(b []byte) error {
	var st status
	if err := json.Unmarshal(b, &st); err != nil || st.Kind != "Status" {
		return s.nonsense(errors.New("an error that is no Status"))
	}
	p := &problem{text: s.asked("watch"), anew: true, err: s.refusal("watch", st.Code, quote(st.Message))}
	p.gone = forgotten(st.Code, st.Reason)
	p.usual = p.gone
	return p
}

// nonsense makes an error of what no API server sends.
func (s *Source) nonsense(err error) error {
	return &problem{
		text: s.asked("watch"), anew: true,
		err: fmt.Errorf("the server sent what cannot be: %w; all is listed anew", err),
	}
}

// broken makes an error of a stream that does not go on: cut off anywhere it has still said nothing wrong.
func (s *Source) broken(err error) error {
	syntax, kind := (*json.SyntaxError)(nil), (*json.UnmarshalTypeError)(nil)
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, discovery.ErrTooMuch) {
		return s.nonsense(err)
	}
	return &problem{text: s.asked("watch"), usual: true, err: fmt.Errorf("%w: %w", errEnded, err)}
}
