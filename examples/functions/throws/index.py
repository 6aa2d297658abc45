def handler(event, context):
    raise Exception("err msg")
