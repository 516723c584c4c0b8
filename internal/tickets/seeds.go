package tickets

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Seed is the control plane's part of one generation's key.
type Seed struct {
	// Generation counts from 1, without gaps.
	Generation int64
	// Epoch is that of the group's secret to use it with.
	Epoch int64
	// Made is when it was drawn.
	Made  time.Time
	bytes hidden
}

// generations is how many seeds there are at a time: previous, current and next.
const generations = 3

func newSeed(generation, epoch int64, now time.Time, random io.Reader) (Seed, error) {
	b, err := draw(random, randomSize)
	if err != nil {
		return Seed{}, fmt.Errorf("make seed of ticket keys: %w", err)
	}
	return Seed{Generation: generation, Epoch: epoch, Made: now, bytes: b}, nil
}

// checkSeeds refuses what Step never makes: no seeds are fine, else three in a row.
func checkSeeds(seeds []Seed) error {
	if len(seeds) == 0 {
		return nil
	}
	if len(seeds) != generations {
		return fmt.Errorf("there are %d seeds of ticket keys, not %d", len(seeds), generations)
	}
	for i, s := range seeds {
		if len(s.bytes.view()) != randomSize || s.Generation != seeds[0].Generation+int64(i) || s.Epoch < 1 {
			return fmt.Errorf("seed %d of ticket keys is not one of three in a row", i+1)
		}
	}
	return nil
}

// wireSeed is a Seed with its bytes: on the way to agents and in the sealed state, nowhere else.
type wireSeed struct {
	Generation int64     `json:"generation"`
	Epoch      int64     `json:"epoch"`
	Made       time.Time `json:"made"`
	Bytes      []byte    `json:"bytes"`
}

func revealSeeds(seeds []Seed) []wireSeed {
	list := make([]wireSeed, len(seeds))
	for i, s := range seeds {
		list[i] = wireSeed{s.Generation, s.Epoch, s.Made, s.bytes.view()}
	}
	return list
}

func readSeeds(list []wireSeed) ([]Seed, error) {
	seeds := make([]Seed, len(list))
	for i, w := range list {
		seeds[i] = Seed{w.Generation, w.Epoch, w.Made, hide(w.Bytes)}
	}
	return seeds, checkSeeds(seeds)
}

// parse reads JSON without repeating any of it in an error.
func parse(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("it is no JSON of this form (%d bytes)", len(text))
	}
	return nil
}
