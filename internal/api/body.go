package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"weir"
)

// The longest bodies, in bytes, and the time in which they must arrive.
const (
	maxObjectBody   = 4 << 20
	maxManifestBody = weir.MaxManifest
	objectWithin    = 30 * time.Second
	manifestWithin  = 5 * time.Minute
)

// largeBody is from where bodies are decoded few at a time, since decoding takes a multiple of their size.
const largeBody = 1 << 20

const mediaTypes = "application/json or application/yaml"

// DeletionsType is the media type of a body that names objects to delete, as Pool/web-az1, one a line: for more than
// the query of an address holds.
const DeletionsType = "application/vnd.weir.deletions"

// namesDeletions says that the body holds no objects but the names of those to delete.
func (c *call) namesDeletions() bool {
	media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	return err == nil && media == DeletionsType
}

func (c *call) deletions() ([]string, error) {
	text, err := c.body(maxObjectBody, objectWithin)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// manifest reads the body as objects, strictly, and nothing else reads bodies.
func (c *call) manifest(limit int64, within time.Duration) ([]*weir.Object, error) {
	asJSON, err := c.bodyType()
	if err != nil {
		return nil, err
	}
	text, err := c.body(limit, within)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, invalid("the body is not UTF-8")
	}
	if len(text) > largeBody {
		done, err := c.turn(c.h.large)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	if asJSON {
		if err := checkJSON(text); err != nil {
			return nil, err
		}
		if list, ok, err := weir.DecodeJSON("body", text); ok {
			return list, err
		}
		text = yamlStrings(text)
	}
	return weir.Decode("body", text)
}

// turn waits for a place among those that decode much at once, and gives what leaves it.
func (c *call) turn(places chan struct{}) (done func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-c.r.Context().Done():
		return nil, weir.Errorf(weir.Unavailable, "the client went away")
	}
}

// one reads the body as exactly one object of a kind.
func (c *call) one(kind weir.Kind) (*weir.Object, error) {
	list, err := c.manifest(maxObjectBody, objectWithin)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, invalid("the body holds %d objects; this needs exactly one, and /api/v1/apply takes many", len(list))
	}
	if list[0].Kind != kind.Name {
		return nil, &weir.Error{Kind: weir.Invalid, Message: "the body is not what the address says", Problems: []weir.Problem{
			{Object: list[0].Ref().String(), Path: "kind", Message: "must be " + kind.Name + " here"},
		}}
	}
	return list[0], nil
}

// bodyType tells JSON from YAML by the Content-Type, which is required.
func (c *call) bodyType() (asJSON bool, err error) {
	media, err := c.mediaType(mediaTypes)
	switch {
	case err != nil:
		return false, err
	case media == "application/json":
		return true, nil
	case media == "application/yaml" || media == "application/x-yaml" || media == "text/yaml":
		return false, nil
	}
	return false, wrongMedia(mediaTypes)
}

func wrongMedia(want string) error {
	return weir.Errorf(wrongType, "the Content-Type must be %s", want)
}

// mediaType gives that of the body, which is plain UTF-8; want says in words what it may be.
func (c *call) mediaType(want string) (string, error) {
	media, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		return "", wrongMedia(want)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", weir.Errorf(wrongType, "the body's charset must be utf-8")
	}
	if coding := c.r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return "", weir.Errorf(wrongType, "the body must be sent without a Content-Encoding")
	}
	return media, nil
}

func (c *call) body(limit int64, within time.Duration) ([]byte, error) {
	var text []byte
	err := c.stream(limit, within, func(body io.Reader) (err error) {
		text, err = io.ReadAll(body)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(bytes.TrimSpace(text)) == 0:
		return nil, invalid("the body is empty; it must hold objects, as %s", mediaTypes)
	}
	return text, nil
}

// stream lets the body be read as it comes, within bounds; what the reader says of the text itself is its own error.
func (c *call) stream(limit int64, within time.Duration, read func(body io.Reader) error) error {
	tooLarge := weir.Errorf(weir.TooLarge, "the body is longer than %d bytes", limit)
	if c.r.ContentLength > limit {
		return tooLarge
	}
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(within)) // a test's recorder has none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	counted := &countingReader{from: http.MaxBytesReader(c.w, c.r.Body, limit)}
	err := read(counted)
	c.read = counted.read
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return weir.Errorf(slowBody, "the body did not arrive within %s", within)
	case errors.As(err, new(*weir.Error)):
		return err
	case err != nil:
		return invalid("the body can't be read to its end")
	}
	return nil
}

type countingReader struct {
	from io.Reader
	read int
}

// Read counts.
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.read += n
	return n, err
}

// checkJSON says where text stops being JSON.
func checkJSON(text []byte) error {
	var syntax *json.SyntaxError
	err := json.Unmarshal(text, new(json.RawMessage))
	if err == nil {
		return nil
	}
	line, message := 0, "is not JSON"
	if errors.As(err, &syntax) {
		at := min(max(syntax.Offset-1, 0), int64(len(text)))
		line = 1 + bytes.Count(text[:at], []byte("\n"))
		message = fmt.Sprintf("is not JSON from byte %d on", at)
	}
	return &weir.Error{Kind: weir.Invalid, Message: "the body can't be read", Problems: []weir.Problem{{File: "body", Line: line, Message: message}}}
}

// yamlStrings writes the strings of a JSON text so that a YAML reader understands them as JSON does: the two
// differ in escapes, in what counts as a line end, and in which characters may stand for themselves. Lines stay.
func yamlStrings(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/16)
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out = append(out, text[i])
			i++
			continue
		}
		end := i + 1
		for text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		end++
		out = yamlString(out, text[i:end])
		i = end
	}
	return out
}

func yamlString(out, literal []byte) []byte {
	plain := true
	for _, b := range literal[1 : len(literal)-1] {
		plain = plain && b >= ' ' && b <= '~' && b != '\\'
	}
	if plain {
		return append(out, literal...)
	}
	var s string
	if err := json.Unmarshal(literal, &s); err != nil {
		return append(out, literal...) // it was valid JSON: can't be
	}
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r >= ' ' && r <= '~':
			out = append(out, byte(r))
		default:
			out = fmt.Appendf(out, `\U%08X`, r)
		}
	}
	return append(out, '"')
}
