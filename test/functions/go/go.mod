module example.com/evenfall-test-functions

go 1.21

require (
	github.com/aliyun/fc-runtime-go-sdk v0.2.7
	github.com/aws/aws-lambda-go v1.49.0
	github.com/tencentyun/scf-go-lib v0.0.0-20211123032342-f972dcd16ff6
)
