// A function of aws-lambda-go that does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do    string `json:"do"`
	Bytes int    `json:"bytes"`
}

func handle(ctx context.Context, e event) (any, error) {
	switch e.Do {
	case "fail":
		return nil, errors.New("went wrong")
	case "panic":
		panic("in a panic")
	case "large":
		return strings.Repeat("x", e.Bytes), nil
	case "sleep":
		stopped := make(chan os.Signal, 1)
		signal.Notify(stopped, syscall.SIGTERM)
		fmt.Println("sleeping")
		select {
		case <-stopped:
			return "END", nil
		case <-time.After(time.Minute):
			return "overslept", nil
		}
	}
	lc, _ := lambdacontext.FromContext(ctx)
	_, timed := ctx.Deadline()
	return map[string]any{"id": lc.AwsRequestID, "timed": timed, "name": lambdacontext.FunctionName}, nil
}

func main() {
	if os.Getenv("INIT") == "fail" {
		fmt.Println("leaving")
		os.Exit(5)
	}
	if os.Getenv("EXTENSION") != "" {
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { fmt.Println("notified by the extension") }))
	}
	lambda.Start(handle)
}
