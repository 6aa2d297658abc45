from behaviour import behave


def handler(event, context):
    return behave(event)
