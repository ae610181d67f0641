"""The service's error codes, and HTTP's statuses, in the words of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloudbridge_store.drivers.http import Meaning
from cloudbridge_store.errors import (
    ArchivedError,
    AuthenticationError,
    BeingDeletedError,
    BucketNotFoundError,
    ConflictError,
    CredentialsExpiredError,
    DuplicateResourceException,
    IntegrityError,
    InvalidRangeError,
    InvalidRequestError,
    LockedError,
    NotFoundError,
    NotModifiedError,
    ObjectNotFoundError,
    OperationTimeoutError,
    PermissionDeniedError,
    PreconditionFailedError,
    QuotaExceededError,
    ServiceUnavailableError,
    ThrottledError,
    UnsupportedOperationError,
)

ADDRESS = (
    "The answer is not the Blob service's: check azure_storage_account and azure_endpoint_url, and that no proxy or "
    "login page stands in between"
)
ROLE = "Storage Blob Data Contributor"
PERMISSIONS = (
    "A shared access signature needs r to read, c or w to create, w to replace, d to delete, l to list, t for tags and "
    f"x for versions, and a role such as {ROLE} is needed with Entra ID"
)
_LEASE = "Somebody has a lease on it: wait for its end, break it, or give its id as extra={'x-ms-lease-id': ...}"
_SOURCE = (
    "The service itself gets the source: check that its URL has not ended and permits reading, and that no firewall "
    "keeps the service away from it"
)
_OTHER_LEASE = "The lease of that id has ended, or is another's: acquire one anew, or leave x-ms-lease-id out"
_BLOCKS = (
    "Another program has an unfinished upload there, with names of blocks of another length; it ends with the next "
    "write in one request, or a week after its last block"
)


def _all(codes: Iterable[str], meaning: Meaning) -> dict[str, Meaning]:
    return dict.fromkeys(codes, meaning)


_MISSING: Mapping[str, Meaning] = {
    "BlobNotFound": Meaning(ObjectNotFoundError),
    "ContainerNotFound": Meaning(BucketNotFoundError),
    "ResourceNotFound": Meaning(
        NotFoundError,
        hint="Without credentials, what is private does not exist; an emulator says this of unknown accounts",
    ),
    **_all(("QueueNotFound", "MessageNotFound", "PreviousSnapshotNotFound"), Meaning(NotFoundError)),
    **_all(
        ("ShareNotFound", "ShareSnapshotNotFound", "ParentNotFound", "PathNotFound", "FilesystemNotFound"),
        Meaning(NotFoundError),
    ),
}

_THERE: Mapping[str, Meaning] = {
    **_all(
        ("ContainerAlreadyExists", "ResourceAlreadyExists", "AccountAlreadyExists", "QueueAlreadyExists"),
        Meaning(DuplicateResourceException),
    ),
    **_all(("ShareAlreadyExists", "PathAlreadyExists", "FilesystemAlreadyExists"), Meaning(DuplicateResourceException)),
    # Only a request with If-None-Match is told so.
    "BlobAlreadyExists": Meaning(PreconditionFailedError),
    "ContainerBeingDeleted": Meaning(BeingDeletedError, "always"),
    **_all(
        ("QueueBeingDeleted", "ShareBeingDeleted", "FilesystemBeingDeleted", "AccountBeingCreated"),
        Meaning(BeingDeletedError, "always"),
    ),
    **_all(
        ("ConditionNotMet", "TargetConditionNotMet", "SourceConditionNotMet", "BlobOverwritten"),
        Meaning(PreconditionFailedError),
    ),
    **_all(
        (
            *("AppendPositionConditionNotMet", "MaxBlobSizeConditionNotMet", "SequenceNumberConditionNotMet"),
            *("SequenceNumberIncrementTooLarge", "BlobImmutableDueToPolicyConditionNotMet"),
        ),
        Meaning(PreconditionFailedError),
    ),
}

_HELD: Mapping[str, Meaning] = {
    **_all(
        (
            *(
                "LeaseIdMissing",
                "LeaseAlreadyPresent",
                "LeaseAlreadyBroken",
                "LeaseIsBrokenAndCannotBeRenewed",
            ),
            *("LeaseIdMismatchWithLeaseOperation", "LeaseIsBreakingAndCannotBeAcquired"),
            *("LeaseIsBreakingAndCannotBeChanged", "LeaseNotPresentWithLeaseOperation"),
            *("InfiniteLeaseDurationRequired", "LeaseNotPresent", "FileLockConflict", "DeletePending"),
            *("SharingViolation", "ShareHasSnapshots"),
        ),
        Meaning(LockedError, hint=_LEASE),
    ),
    **_all(
        (
            *("LeaseLost", "LeaseIdMismatchWithBlobOperation", "LeaseIdMismatchWithContainerOperation"),
            *("LeaseNotPresentWithBlobOperation", "LeaseNotPresentWithContainerOperation"),
        ),
        Meaning(LockedError, hint=_OTHER_LEASE),
    ),
    **_all(
        ("BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "ContainerImmutableStorageWithVersioningEnabled"),
        Meaning(LockedError, hint="A retention policy or a legal hold protects it"),
    ),
    **_all(
        (
            *("SnapshotsPresent", "NoPendingCopyOperation", "CopyIdMismatch", "SystemInUse"),
            *("SnapshotOperationRateExceeded", "QueueNotEmpty", "PopReceiptMismatch", "DirectoryNotEmpty"),
            *("IncrementalCopyBlobMismatch", "IncrementalCopyOfEarlierVersionSnapshotNotAllowed", "PathConflict"),
            *("IncrementalCopyOfEarlierSnapshotNotAllowed", "PreviousSnapshotCannotBeNewer", "CannotDeleteDirectory"),
            *("DestinationPathIsBeingDeleted", "RenameDestinationParentPathNotFound", "ClientCacheFlushDelay"),
            "OperationNotAllowedOnRootBlob",
        ),
        Meaning(ConflictError),
    ),
    "PendingCopyOperation": Meaning(
        ConflictError, hint="A copy that the service makes in its own time is on its way there: wait, or abort it"
    ),
    "DirectoryIsNotEmpty": Meaning(ConflictError, hint="It is a directory of Data Lake: first delete what is in it"),
    "BlobArchived": Meaning(
        ArchivedError,
        hint="Set its storage class to Hot, Cool or Cold, and wait for hours; or delete it, to store another in its place",
    ),
    "BlobBeingRehydrated": Meaning(ArchivedError, hint="It is on its way out of the archive: that takes hours"),
    "BlobNotArchived": Meaning(ConflictError),
}

_WHO: Mapping[str, Meaning] = {
    "NoAuthenticationInformation": Meaning(
        AuthenticationError, hint="Give credentials: only public buckets are open to all"
    ),
    "InvalidAuthenticationInfo": Meaning(
        AuthenticationError, hint="Check the form of azure_storage_key, azure_sas_token or azure_access_token"
    ),
    "ExpiredAuthenticationToken": Meaning(CredentialsExpiredError, "auth", "The token has expired: get a new one"),
    "AuthorizationPermissionMismatch": Meaning(PermissionDeniedError, hint=PERMISSIONS),
    "InsufficientAccountPermissions": Meaning(PermissionDeniedError, hint=PERMISSIONS),
    "AuthorizationFailure": Meaning(
        PermissionDeniedError,
        hint=f"The account's firewall, or what the credentials may do, forbids it. {PERMISSIONS}",
    ),
    "UnauthorizedBlobOverwrite": Meaning(
        PermissionDeniedError, hint="A shared access signature with c only creates; to replace takes w"
    ),
    "AuthorizationProtocolMismatch": Meaning(
        PermissionDeniedError, hint="The shared access signature is for https only: give an https address"
    ),
    "AuthorizationSourceIPMismatch": Meaning(
        PermissionDeniedError, hint="The shared access signature is for other addresses (sip) than this machine's"
    ),
    "AuthorizationServiceMismatch": Meaning(
        PermissionDeniedError, hint="The shared access signature is for other services: ss must have b"
    ),
    "AuthorizationResourceTypeMismatch": Meaning(
        PermissionDeniedError,
        hint="The shared access signature lacks a type of resource: srt must have s to list buckets, c for buckets, "
        "o for objects",
    ),
    "PublicAccessNotPermitted": Meaning(
        PermissionDeniedError, hint="The account allows no public access: an administrator sets allowBlobPublicAccess"
    ),
    "KeyBasedAuthenticationNotPermitted": Meaning(
        PermissionDeniedError,
        hint="The account accepts no keys: use Entra ID, that is azure_access_token or a principal",
    ),
    "RequestForbiddenByContainerEncryptionPolicy": Meaning(
        PermissionDeniedError,
        hint="The bucket is for one encryption scope: name that as extra={'x-ms-encryption-scope': ...}, or none",
    ),
    **_all(
        ("AccountIsDisabled", "ContainerDisabled", "QueueDisabled", "ShareDisabled"),
        Meaning(PermissionDeniedError, hint="It is disabled: ask the account's owner"),
    ),
}

_WRONG: Mapping[str, Meaning] = {
    **_all(
        (
            *(
                "EmptyMetadataKey",
                "InvalidHeaderValue",
                "InvalidInput",
                "InvalidMetadata",
                "InvalidQueryParameterValue",
            ),
            *("InvalidResourceName", "InvalidUri", "InvalidXmlDocument", "InvalidXmlNodeValue", "InvalidMarker"),
            *("MetadataTooLarge", "MissingContentLengthHeader", "MissingRequiredQueryParameter", "InvalidHttpVerb"),
            *("MissingRequiredHeader", "MissingRequiredXmlNode", "OutOfRangeInput", "RequestUrlFailedToParse"),
            *("OutOfRangeQueryParameterValue", "BlockListTooLong", "InvalidBlobTier"),
            *(
                "InvalidBlockId",
                "InvalidBlockList",
                "InvalidPageRange",
                "InvalidSourceBlobType",
                "InvalidSourceBlobUrl",
            ),
            *("InvalidVersionForPageBlobOperation", "InvalidTagName", "InvalidTagValue", "TagsTooLarge"),
            *("BlobTierInadequateForContentLength", "CannotChangeToLowerTier"),
            *(
                "IncrementalCopySourceMustBeSnapshot",
                "FeatureVersionMismatch",
                "InvalidResourceType",
                "ContentLengthMismatch",
            ),
            *(
                "InvalidDestinationPath",
                "InvalidFlushPosition",
                "InvalidPropertyName",
                "InvalidSourceUri",
                "InvalidRenameSourcePath",
            ),
            *("InvalidFileOrDirectoryPathName", "ReadOnlyAttribute", "FileShareProvisionedIopsInvalid", "InvalidOwner"),
            *("InvalidOrMissingCopySource", "CopySourceInvalid"),
            *(
                "CustomerProvidedKeyIsMissing",
                "InvalidMd5",
                "InvalidCrc64",
                "SourcePathNotFound",
                "CannotDeleteFileOrDirectory",
                "InvalidOperation",
            ),
        ),
        Meaning(InvalidRequestError),
    ),
    "CannotVerifyCopySource": Meaning(InvalidRequestError, hint=_SOURCE),
    "InvalidBlobOrBlock": Meaning(InvalidRequestError, hint=_BLOCKS),
    "InvalidBlobType": Meaning(
        InvalidRequestError, hint="There is an append or page blob of that name: delete it first"
    ),
    **_all(
        (
            *("BlobUsesCustomerSpecifiedEncryption", "BlobDoesNotUseCustomerSpecifiedEncryption"),
            "BlobCustomerSpecifiedEncryptionMismatch",
        ),
        Meaning(
            InvalidRequestError, hint="Give encryption=Encryption.customer(key) with the writer's key, or none at all"
        ),
    ),
    "InvalidRange": Meaning(InvalidRangeError),
    **_all(
        (
            *("BlobAccessTierNotSupportedForAccountType", "ConditionHeadersNotSupported", "UnsupportedHeader"),
            *("CopyAcrossAccountsNotSupported", "MultipleConditionHeadersNotSupported", "UnsupportedXmlNode"),
            *("UnsupportedQueryParameter", "UnsupportedHttpVerb", "OperationNotAllowedOnIncrementalCopyBlob"),
            *(
                "PreviousSnapshotOperationNotSupported",
                "ResourceTypeMismatch",
                "FeatureNotSupported",
                "UnsupportedRestVersion",
            ),
            *("FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "ShareSnapshotOperationNotSupported"),
            *("BlobOperationNotSupported", "OperationNotSupportedOnDirectory"),
            *("UnsupportedHierarchicalNamespaceOperation", "EndpointUnsupportedAccountFeatures", "APINotImplemented"),
        ),
        Meaning(UnsupportedOperationError),
    ),
    **_all(
        (
            *("RequestBodyTooLarge", "ContentLengthLargerThanTierLimit", "BlockCountExceedsLimit", "MessageTooLarge"),
            *("SnapshotCountExceeded", "ShareSnapshotCountExceeded", "AccountStorageQuotaExceeded"),
        ),
        Meaning(QuotaExceededError),
    ),
    **_all(("Md5Mismatch", "Crc64Mismatch"), Meaning(IntegrityError, "always")),
}

_LATER: Mapping[str, Meaning] = {
    "ServerBusy": Meaning(ThrottledError, "always"),
    **_all(("TooManyRequests", "RequestRateTooHigh", "OperationThrottled"), Meaning(ThrottledError, "always")),
    "OperationTimedOut": Meaning(OperationTimeoutError, "idempotent"),
    "InternalError": Meaning(ServiceUnavailableError, "idempotent"),
}

BY_CODE: Mapping[str, Meaning] = {**_MISSING, **_THERE, **_HELD, **_WHO, **_WRONG, **_LATER}
"""By the service's code. ``AuthenticationFailed`` is not here: its document says which of many reasons it was."""

BY_STATUS: Mapping[int | None, Meaning] = {
    304: Meaning(NotModifiedError),
    401: Meaning(AuthenticationError, hint="Check the credentials"),
    403: Meaning(PermissionDeniedError, hint=PERMISSIONS),
    404: Meaning(NotFoundError),
    405: Meaning(UnsupportedOperationError),
    408: Meaning(OperationTimeoutError, "idempotent"),
    409: Meaning(ConflictError),
    412: Meaning(PreconditionFailedError),
    413: Meaning(QuotaExceededError),
    416: Meaning(InvalidRangeError),
    429: Meaning(ThrottledError, "always"),
    501: Meaning(UnsupportedOperationError),
    507: Meaning(QuotaExceededError),
}
